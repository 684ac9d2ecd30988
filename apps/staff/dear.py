"""What is dear: pages that show or make secrets, give money back, or hand out the books (trust S46).

Whoever opens one of them proves again who they are, if the last proof is old. This is the only list.
"""

DEAR = frozenset(
    f"admin:{name}"
    for name in (
        # secrets of partners, of our API and of staff
        "partners_partner_add",
        "partners_partner_connect",
        "partners_partner_invite_again",
        "partners_partner_renew",
        "partners_partner_share",
        "api_apikey_add",
        "staff_user_add",
        "auth_user_password_change",
        "staff_user_take_second_factor_away",
        # money: a run issues credit notes besides invoices
        "billing_invoicerun_add",
        # the books
        "billing_invoice_export",
    )
)
"""Views by name."""
