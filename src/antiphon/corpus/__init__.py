"""Conversations to train on: scenario -> dialogue -> voices -> two channels on disk.

In: a scenario, or other people's recordings. Out: audio with words, turns and calls, each at its
time. Knows nothing of networks or codes; what a network needs of it, training prepares.
"""
