"""A small Flask application: routing with a converter, query arguments, JSON."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.get("/users/<int:user_id>/orders")
def orders(user_id: int) -> Response:
    page = request.args.get("page", 1, type=int)
    return jsonify(
        user={"id": user_id, "name": f"user {user_id}", "active": True},
        page=page,
        orders=[{"id": n, "total": n * 1.5, "paid": n % 2 == 0} for n in range(5)],
    )
