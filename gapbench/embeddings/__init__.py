"""Embeddings: rows, fingerprints, the store, encoding, moments, other people's files."""
