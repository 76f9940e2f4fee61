"""The nouns that people handle: components and assemblies, their classes and the images that they take."""
