"""The making of the word vectors that `pegboard.semantic` ships."""
