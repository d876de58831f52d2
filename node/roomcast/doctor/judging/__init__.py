"""What a set of observations means: plain functions from what was seen to a finding, one module for each question."""
