"""Results as aligned text for people, made from the objects that JSON prints."""
