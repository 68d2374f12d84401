"""The nightly refresh of preference data: leases, journals and decisions that survive kills."""
