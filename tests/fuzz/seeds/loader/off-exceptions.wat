;; A feature of WebAssembly that is switched off: exceptions.
(component (core module (tag $t) (func throw $t)))
