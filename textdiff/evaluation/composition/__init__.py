"""Whether drawn pictures show what their prompts say, read exactly: seen and unseen combinations."""
