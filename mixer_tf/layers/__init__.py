"""What Keras lacks and a backbone needs: functions on tensors, and a class only where something owns weights."""
