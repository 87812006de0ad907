"""The log: a Merkle tree of every state change, appended to in the transaction that makes the change."""
