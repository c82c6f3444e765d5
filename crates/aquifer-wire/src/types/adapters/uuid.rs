use uuid::Uuid;

use super::foreign;

foreign!(Uuid);
