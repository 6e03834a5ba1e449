;; A feature of WebAssembly that is switched off: memories of 64 bits.
(component (core module (memory i64 1)))
