"""How a spec becomes Discord calls, one file a kind. The only room that knows both sides."""
