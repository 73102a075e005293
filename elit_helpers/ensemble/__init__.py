"""Networks: train, store, predict. The only folder that knows AtomAI and torch."""
