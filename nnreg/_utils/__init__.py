"""Helpers that know nothing of neural networks: files, text for people, threads, memory."""
