"""Pictures of scenes read back into facts, and facts compared: no network takes part."""
