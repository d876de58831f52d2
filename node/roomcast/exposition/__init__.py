"""What a node shows about itself: metrics and health, as plain values. Who serves them is a driver's business."""
