"""Words of `kerascnn explain` that give no map of a class: one file each, found by listing the folder."""
