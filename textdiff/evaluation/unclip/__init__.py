"""unCLIP compared: whose embedding the decoder draws, beside a model that draws from text alone."""
