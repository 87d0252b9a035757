//! How large a component may be before it is compiled, which nothing can interrupt.

/// Bounds on a component, all of them held before it is compiled.
///
/// The time and the memory that compiling takes grow with these, and compiling cannot be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentLimits {
    /// Its size in bytes: 64 MiB.
    pub bytes: u64,
    /// Its functions with a body, in all of its modules: 100,000.
    pub functions: u32,
    /// The bytes of its largest function's body: 1 MiB.
    pub function_bytes: u32,
    /// Its core modules: 64.
    pub modules: u32,
    /// What is instantiated when it is, modules and components, each as often as it is: 256.
    pub instances: u32,
    /// How deep components are nested: 8.
    pub nesting: u32,
}

impl Default for ComponentLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            functions: 100_000,
            function_bytes: 1 << 20,
            modules: 64,
            instances: 256,
            nesting: 8,
        }
    }
}

impl ComponentLimits {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for larger components, or only smaller ones.
    #[must_use]
    pub fn bytes(mut self, most: u64) -> Self {
        self.bytes = most;
        self
    }

    /// The same with another bound on functions.
    #[must_use]
    pub fn functions(mut self, most: u32) -> Self {
        self.functions = most;
        self
    }

    /// The same with another bound on one function's body.
    #[must_use]
    pub fn function_bytes(mut self, most: u32) -> Self {
        self.function_bytes = most;
        self
    }

    /// The same with another bound on core modules.
    #[must_use]
    pub fn modules(mut self, most: u32) -> Self {
        self.modules = most;
        self
    }

    /// The same with another bound on instances.
    #[must_use]
    pub fn instances(mut self, most: u32) -> Self {
        self.instances = most;
        self
    }

    /// The same with another bound on nesting.
    #[must_use]
    pub fn nesting(mut self, most: u32) -> Self {
        self.nesting = most;
        self
    }
}
