"""Kubernetes custom resources: plan, create or adopt, watch, stop; and Kubeflow TrainJobs on top of that."""
