"""What user code touches: the app object, contexts and the durable client."""
