"""What replicas share through Redis, for as long as it answers; nothing of it is needed to serve."""
