"""Exact and near duplicates among many texts."""
