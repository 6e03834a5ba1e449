;; A core module, not a component.
(module (memory 1) (func (export "run") (param i32) (result i32) (block (br_if 0 (local.get 0))) i32.const 1))
