"""Scenes with known facts, composed from OpenMoji's drawings: no two runs ever draw them otherwise.

kinds x colours -> combinations, some held out -> facts of scene i -> captions
                   drawings recoloured, rasterised once (sprites) -> composited pixels
"""
