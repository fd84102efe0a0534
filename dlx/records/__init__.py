"""What a trial leaves on the disk: tables, status, checkpoints, weights, and who may write them."""
