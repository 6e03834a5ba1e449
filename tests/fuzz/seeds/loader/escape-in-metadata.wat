;; Metadata that would clear a terminal, and turn text around.
(component $"a\u{1b}[2J"
  (@custom "description" "a\u{1b}[2J\u{a}error: none")
  (@custom "authors" "a\u{202e}b"))
