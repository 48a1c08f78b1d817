"""Verification of a whole leaderboard: its records, its study, its pages and its figures."""
