;; A name that would clear a terminal, and forge a line.
(component (import "url=<https://a.example/\u{1b}[2J\u{a}error: none>" (func)))
