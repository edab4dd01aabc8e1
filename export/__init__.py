"""The bridge: from trained runs to measured, promoted artifacts. Sees both training and serving."""
