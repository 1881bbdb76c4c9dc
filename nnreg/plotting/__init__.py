"""Drawing: SVG and terminal plots of curves and of components."""
