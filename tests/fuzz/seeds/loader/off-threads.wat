;; A feature of WebAssembly that is switched off: shared memories.
(component (core module (memory 1 1 shared)))
