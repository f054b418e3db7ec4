from .site import mount as mount
