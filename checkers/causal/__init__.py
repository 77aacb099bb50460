"""What processes see of each other's writes: causal consistency, sessions, and weak isolation."""

 

 
