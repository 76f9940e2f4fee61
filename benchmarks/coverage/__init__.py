"""Which networks of torchvision and timm can be taken apart: `make coverage`."""
