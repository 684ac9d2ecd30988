"""What staff changed, kept so that nobody can change it unseen (trust S49): a chain of digests, one a day."""
