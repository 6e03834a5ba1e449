//! Parts of small components that tests write as text: what every component of a world has in it. Their module of
//! memory is `$libc`, and that of their functions `$main`.

/// The import `values`, and the name `$ref` for a charm's.
pub const VALUES: &str = r#"(import "commontools:background/values@0.1.0" (instance $values
        (type $t (record (field "space" string) (field "charm-id" string)))
        (export "charm-ref" (type (eq $t)))))
    (alias export $values "charm-ref" (type $ref))"#;

/// The import `cells`.
pub const CELLS: &str = r#"(import "commontools:background/cells@0.1.0" (instance $cells
        (type $e (variant (case "bad-name" string) (case "bad-json" string) (case "too-large" string)
            (case "unavailable" string)))
        (export "cell-error" (type $error (eq $e)))
        (export "get" (func (param "name" string) (result (result (option string) (error $error)))))
        (export "set" (func (param "name" string) (param "value" string) (result (result (error $error)))))))
    (core func $get (canon lower (func $cells "get") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core func $set (canon lower (func $cells "set") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#;

/// The rest of a `realloc` that allocates at `$next` and sets the local `$at`: memory grows where it has to.
pub const ALLOCATE: &str = r"(local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (loop $again
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
            (then
                (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                (br $again))))
    (local.get $at)";

/// The exports of a component of world `integration`.
pub const INTEGRATION: &str = r#"(type $e (variant (case "temporary" string) (case "permanent" string)))
    (export $error "integration-error" (type $e))
    (func (export "initialize") (result (result (error $error)))
        (canon lift (core func $main "initialize") (memory (core memory $libc "memory"))))
    (func (export "fetch-charms") (result (result (list $ref) (error $error)))
        (canon lift (core func $main "fetch-charms") (memory (core memory $libc "memory"))))
    (func (export "is-valid-charm") (param "charm" (borrow $charm)) (result (result bool (error $error)))
        (canon lift (core func $main "is-valid-charm") (memory (core memory $libc "memory"))))"#;

/// The exports of a component of world `charm`.
pub const CHARM: &str = r#"(type $e (record (field "message" string) (field "stack" (option string))))
    (export $error "handler-error" (type $e))
    (type $s (record (field "name" (option string)) (field "streams" (list string))
        (field "secrets" (list (list string)))))
    (export $shape "shape" (type $s))
    (func (export "setup") (result (result $shape (error $error)))
        (canon lift (core func $main "setup") (memory (core memory $libc "memory"))))
    (func (export "page") (result (result (option string) (error $error)))
        (canon lift (core func $main "page") (memory (core memory $libc "memory"))))
    (func (export "handle") (param "stream" string) (param "event" string) (result (result (error $error)))
        (canon lift (core func $main "handle") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#;
