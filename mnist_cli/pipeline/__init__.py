"""What runs, when and why: configuration, plan, manifests, and running under the lock."""
