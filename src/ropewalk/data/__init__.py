"""Data: pulls versioned tables from where they are kept, with proof of every byte."""
