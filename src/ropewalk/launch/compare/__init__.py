"""Compare: what differs between two compiled pipelines, and whom it concerns. Needs no KFP."""
