"""What drivers have been invoiced, with the documents themselves."""

from django.db.models import Q
from django.http import HttpResponse

from apps.billing.models import Document

from . import scope
from .frame import ApiView
from .schema import described
from .shapes import InvoiceShape, Paged, page_of

PDF = "application/pdf"


class DriverInvoices(ApiView):
    @described("driver_invoices", page_of(InvoiceShape), asks=Paged)
    def get(self, request, driver_id):
        """Documents of the account that pays for a driver, the newest first.

        Those of a company say where each of its drivers was, so only a key of that company's own is shown them.
        """
        asked = self.read(Paged, request.query_params.dict())
        driver = self.only(scope.drivers(self.key), driver_id)
        rows = scope.invoices(self.key).filter(account=driver.account_id).order_by("-issued_at", "-pk")
        made = rows.annotate(is_made=Q(document__rendered_at__isnull=False))
        return self.page(made.select_related("payment").defer("seller", "buyer"), asked, InvoiceShape)


class InvoicePdf(ApiView):
    @described("invoice_pdf", bytes, media_type=PDF)
    def get(self, request, invoice_id):
        """The document, the same bytes for ever; 404 until it is made."""
        invoice = self.only(scope.invoices(self.key), invoice_id)
        document = self.one(Document.objects.filter(invoice=invoice, rendered_at__isnull=False))
        named = {"Content-Disposition": f'attachment; filename="{invoice.number}.pdf"'}
        return HttpResponse(bytes(document.pdf), content_type=PDF, headers=named)
