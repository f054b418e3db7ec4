"""Pictures drawn for the same prompts, judged by CLIPs that took no part; evaluations share it."""
