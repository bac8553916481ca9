"""What runs, when and why: the plan, manifests, and running under the mutex."""
