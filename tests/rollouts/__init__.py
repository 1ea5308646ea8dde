"""Rollouts of a rendered Deployment, played with real processes or done on a cluster, under `collector probe`."""
