//! The tables of the shop that the typed tier reads.

use std::time::SystemTime;

use aquifer::entity::Entity;
use aquifer::types::{Date, Numeric, Range};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "employees")]
pub(super) struct Employee {
    #[entity(key)]
    pub id: i64,
    pub name: String,
    #[entity(belongs_to(MANAGER = Employee::ID))]
    pub manager_id: Option<i64>,
    pub salary: Numeric,
}

aquifer::alias!(pub(super) Colleague = Employee as "colleague");

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "customers", has_many(ORDERS = Order::CUSTOMER_ID), has_many(REVIEWS = Review::CUSTOMER_ID))]
pub(super) struct Customer {
    #[entity(key)]
    pub id: i64,
    pub name: String,
    pub email: String,
    pub country: String,
    pub created_at: SystemTime,
    pub referred_by: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "addresses")]
pub(super) struct Address {
    #[entity(key)]
    pub id: i64,
    pub customer_id: i64,
    pub kind: String,
    pub city: String,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "categories")]
pub(super) struct Category {
    #[entity(key)]
    pub id: i64,
    pub parent_id: Option<i64>,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "suppliers")]
pub(super) struct Supplier {
    #[entity(key)]
    pub id: i64,
    pub name: String,
    pub country: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub colour: String,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "products", soft_delete = deleted_at, has_many(LINES = Line::PRODUCT_ID))]
pub(super) struct Product {
    #[entity(key)]
    pub id: i64,
    pub sku: String,
    pub name: String,
    pub description: String,
    pub category_id: i64,
    pub supplier_id: i64,
    pub price: Numeric,
    pub stock: i32,
    pub tags: Vec<String>,
    #[entity(json)]
    pub attributes: Attributes,
    pub deleted_at: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "prices", key(product_id, number))]
pub(super) struct Price {
    #[entity(belongs_to = Product::ID)]
    pub product_id: i64,
    pub number: i32,
    pub valid: Range<Date>,
    pub amount: Numeric,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "orders", has_many(LINES = Line::ORDER_ID), has_many(SHIPMENTS = Shipment::ORDER_ID))]
pub(super) struct Order {
    #[entity(key)]
    pub id: i64,
    #[entity(belongs_to = Customer::ID)]
    pub customer_id: i64,
    pub employee_id: Option<i64>,
    pub status: String,
    pub ordered_at: SystemTime,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "order_lines", key(order_id, number))]
pub(super) struct Line {
    #[entity(belongs_to = Order::ID)]
    pub order_id: i64,
    pub number: i32,
    pub product_id: i64,
    pub quantity: i32,
    pub unit_price: Numeric,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "payments")]
pub(super) struct Payment {
    #[entity(key)]
    pub id: i64,
    #[entity(belongs_to = Order::ID)]
    pub order_id: i64,
    pub method: String,
    pub amount: Numeric,
    pub paid_at: SystemTime,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "shipments")]
pub(super) struct Shipment {
    #[entity(key)]
    pub id: i64,
    pub order_id: i64,
    pub carrier: String,
    pub shipped_at: SystemTime,
    pub delivered_at: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "reviews")]
pub(super) struct Review {
    #[entity(key)]
    pub id: i64,
    #[entity(belongs_to = Product::ID)]
    pub product_id: i64,
    pub customer_id: i64,
    pub rating: i32,
    pub body: String,
    pub created_at: SystemTime,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "stocks")]
pub(super) struct Stock {
    #[entity(key)]
    pub product_id: i64,
    pub pieces: i32,
    pub counted_at: SystemTime,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "jobs")]
pub(super) struct Job {
    #[entity(key)]
    pub id: i64,
    pub kind: String,
    pub run_at: SystemTime,
    pub taken_at: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "archived_orders")]
pub(super) struct ArchivedOrder {
    #[entity(key)]
    pub order_id: i64,
    pub customer_id: i64,
    pub total: Numeric,
}
