"""A server of KFP's API for tests."""
