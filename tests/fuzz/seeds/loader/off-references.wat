;; A feature of WebAssembly that is switched off: references to functions with types, and garbage collection.
(component (core module (type $s (struct (field i32))) (func (param (ref null $s)))))
