//! The JSON messages of a tunnel. Each is the body of one frame, and has its kind as `type`.

mod kinds;

pub use kinds::{
    Bye, ByeCode, End, Failed, Fate, Hello, MAX_LONG, MAX_MESSAGE, MAX_ROUTES, Message, RefusedCode, RouteIs,
    Routes, RoutesAre, State, Token, WantedRoute, Welcome,
};
