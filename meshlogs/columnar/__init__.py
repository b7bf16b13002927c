"""Columns of tables, whatever they mean: joins by whole numbers, Arrow columns, hashes of texts, memory given back."""
