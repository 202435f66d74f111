"""The Crossplane managed-resource contract. Knows no Discord."""
